/* Rights: one guarded SKU, sold by a channel that compares before it writes (A) and by one that is written blindly (B).

   Property: what both can still sell, and what they have sold and nobody has told the engine, is never more than what
   is available: so no unit is sold twice. Available is what is there less what is known to be sold, or is reserved.

   A listing may sell what facts say it shows, or what the write in flight may have made of it, whichever is more. It is
   raised by what is free alone, units that no listing may sell; what it gives up is free when the cut is proved. B may
   bury what was sold until a write is applied, so it is emptied first and raised from a proved zero. What planning
   wishes is any figure, and the engine may die between any two steps: its write then has no answer.

   A write without an answer is settled by a reading alone: when no copy of it can come any more, or where it shows
   already, and when every order that the reading may contain is known. A reading that shows more than facts explain
   counts as if that could be sold; it may be an old one.

   Figures are units; what the engine knows of a figure is kept less the orders that became known since. The bounds
   below are the whole of what is explored. Each MUTANT_... leaves out one rule. */

#ifndef SALES
#define SALES 3         /* buyers, at both channels together */
#endif
#ifndef CANCELS
#define CANCELS 1       /* orders cancelled again; the unit goes back on the listing */
#endif
#ifndef RECEIPTS
#define RECEIPTS 1      /* units that come in */
#endif
#ifndef ELSEWHERE
#define ELSEWHERE 1     /* units sold or reserved elsewhere */
#endif
#ifndef WRITES
#define WRITES 4        /* writes that the engine sends */
#endif

#define MOST(a, b) ((a) > (b) -> (a) : (b))
#define LEAST(a, b) ((a) < (b) -> (a) : (b))

/* The channels: what they show; orders and cancellations that the engine does not know; and those that it knows. */
byte shown_a = 1, new_a = 0, back_a = 0, known_a = 0;
byte shown_b = 1, new_b = 0, back_b = 0, known_b = 0;
byte old_a = 1;         /* what an old reading of A shows */

/* Requests under way or in the channel's queue: applied late, in any order, or never. */
bool flies_a = false;
byte to_a = 0;
short if_a = 0;
bool flies_b[2];
byte to_b[2];
#define NOTHING_FLIES_B (!flies_b[0] && !flies_b[1])

/* The engine's database. */
mtype = { IDLE, SENDING, OPEN };
short available = 2;
byte writes = 0;
mtype phase_a = IDLE, phase_b = IDLE;
short belief_a = 1, belief_b = 1;
short written_a = 0;        /* A shows this if the write in flight is applied */
byte units_a = 0;           /* and that was its figure */
/* Of B's write in flight: the most that can be sold, its figure, the one from before it, and what orders took since. */
short rights_b = 0, units_b = 0, before_b = 0, taken_b = 0;

/* The reading of A that waits to be weighed: what it shows, how many orders that it may contain are not known yet, and
   how many became known since it was asked for. */
bool waits = false, was_over = false;
byte seen_a = 0, in_new = 0, in_back = 0, took = 0, gave = 0;

#define FLOOR(units) ((units) > 0 -> (units) : 0)
#ifdef MUTANT_RELEASES_EARLY    /* what a cut gives up is free when it is sent */
#define RIGHTS_A FLOOR((phase_a != IDLE -> written_a : belief_a))
#else
#ifdef MUTANT_COUNTS_THE_NEW_ONLY   /* of a write without an answer only its own figure counts */
#define RIGHTS_A FLOOR((phase_a == OPEN -> written_a : (phase_a == SENDING -> MOST(belief_a, written_a) : belief_a)))
#else
#define RIGHTS_A FLOOR(MOST(MOST(belief_a, (phase_a != IDLE -> written_a : 0)), (waits -> seen_a : 0)))
#endif
#endif
#define RIGHTS_B FLOOR((phase_b != IDLE -> rights_b : belief_b))
#define FREE (available - RIGHTS_A - RIGHTS_B)

#define SELLABLE (shown_a + new_a - back_a + shown_b + new_b - back_b)
#define IS_SOUND (SELLABLE <= available)

/* The channels and their buyers ------------------------------------------------------------------------------------ */

inline end_write_a() { written_a = 0; units_a = 0; phase_a = IDLE }

inline land_b(i) {
    flies_b[i] = false;
    if
    :: shown_b = to_b[i]; assert(IS_SOUND)
    :: skip             /* never applied */
    fi;
    to_b[i] = 0
}

active proctype Channels() {
end: do
    :: atomic { flies_a -> flies_a = false;
           if   /* applied, and the answer heard where somebody still waits for it; refused as stale; or lost */
           :: shown_a == if_a -> shown_a = to_a; assert(IS_SOUND);
               if
               :: phase_a == SENDING -> belief_a = written_a; end_write_a()
               :: true -> skip
               fi
           :: shown_a != if_a && phase_a == SENDING -> end_write_a()
           :: true -> skip
           fi;
           phase_a = (phase_a == SENDING -> OPEN : phase_a);
           to_a = 0; if_a = 0
       }
    :: atomic { flies_b[0] -> land_b(0) }
    :: atomic { flies_b[1] -> land_b(1) }
    :: d_step { old_a != shown_a -> old_a = shown_a }
    od
}

active proctype World() {
    byte sold = 0, cancelled = 0, received = 0, gone = 0;
end: do
    :: d_step { shown_a > 0 && sold < SALES -> shown_a--; new_a++; sold++ }
    :: d_step { shown_b > 0 && sold < SALES -> shown_b--; new_b++; sold++ }
    :: d_step { cancelled < CANCELS && known_a + new_a > back_a -> shown_a++; back_a++; cancelled++ }
    :: d_step { cancelled < CANCELS && known_b + new_b > back_b -> shown_b++; back_b++; cancelled++ }
    :: d_step { received < RECEIPTS -> received++; available++ }
#ifdef MUTANT_RESERVES_WHAT_IS_GRANTED  /* it looks at what is available, not at what listings may sell of it */
    :: d_step { gone < ELSEWHERE && available > 0 -> gone++; available--; assert(IS_SOUND) }
#else
    :: d_step { gone < ELSEWHERE && FREE > 0 -> gone++; available--; assert(IS_SOUND) }
#endif
    od
}

/* Orders become known, in any order, a sale before its cancellation ------------------------------------------------ */

inline sale_of_a() {
    new_a--; known_a++; available--;
    took = (waits -> took + 1 : 0);
    belief_a--; written_a = (phase_a != IDLE -> written_a - 1 : 0)
}

inline cancellation_of_a() {
    back_a--; known_a--; available++;
    gave = (waits -> gave + 1 : 0);
    belief_a++; written_a = (phase_a != IDLE -> written_a + 1 : 0)
}

inline change_of_b(units) {
    belief_b = belief_b - units;
    if
    :: phase_b != IDLE -> rights_b = rights_b - units; taken_b = taken_b + units
    :: else -> skip
    fi
}

active proctype Orders() {
end: do
    :: d_step { new_a > in_new -> sale_of_a() }                         /* placed after the reading */
    :: d_step { in_new > 0 -> in_new--; sale_of_a() }
    :: d_step { back_a > in_back && known_a > 0 -> cancellation_of_a() }
    :: d_step { in_back > 0 && known_a > 0 -> in_back--; cancellation_of_a() }
    :: d_step { new_b > 0 -> new_b--; known_b++; available--; change_of_b(1) }
    :: d_step { back_b > 0 && known_b > 0 -> back_b--; known_b--; available++; change_of_b(-1) }
    od
}

/* The engine ------------------------------------------------------------------------------------------------------- */

inline forget_reading() {
    waits = false; was_over = false; seen_a = 0; in_new = 0; in_back = 0; took = 0; gave = 0
}

inline take_reading(shows) {
    waits = true; seen_a = shows; in_new = new_a; in_back = back_a
}

inline send_a(figure) {
    forget_reading();
    written_a = figure; units_a = figure; phase_a = SENDING; writes++;
    flies_a = true; to_a = figure; if_a = belief_a
}

inline send_b(figure, most) {
    before_b = belief_b; units_b = figure; taken_b = 0; rights_b = most;
    phase_b = OPEN; writes++;
    if
    :: !flies_b[0] -> flies_b[0] = true; to_b[0] = figure
    :: else -> flies_b[1] = true; to_b[1] = figure
    fi
}

#ifdef MUTANT_DOUBT_PAYS     /* what an old reading showed may be raised again, though nothing is free */
#define IS_PAID_A (units <= rights_a)
#else
#define IS_PAID_A (units <= belief_a)
#endif
#define MAY_SEND_A (phase_a == IDLE && !flies_a && belief_a >= 0 && units != belief_a && \
                                 (IS_PAID_A || units - rights_a <= free))
#define IS_B_READY (phase_b == IDLE && !(flies_b[0] && flies_b[1]) && belief_b >= 0)
#define MAY_RAISE_B (IS_B_READY && units > 0 && belief_b == 0 && units <= free)

inline push() {
    if
    :: MAY_SEND_A -> send_a(units)
    :: MAY_RAISE_B -> send_b(units, units)
    :: IS_B_READY && belief_b > 0 -> send_b(0, belief_b)
#ifdef MUTANT_NO_BARRIER    /* it is raised from what it shows, as if the channel compared */
    :: IS_B_READY && units > belief_b && units - belief_b <= free -> send_b(units, units)
#endif
#ifdef MUTANT_TWO_RAISES_OF_ONE_GRANT
    :: MAY_SEND_A && MAY_RAISE_B -> send_a(units); send_b(units, units)
#endif
    :: else -> skip
    fi
}

/* A reading of B. Of the write's own figure some may have been sold, and some of that not buried. */
#define FITS_WRITTEN_B ((shown_b <= units_b && shown_b >= units_b - (taken_b > 0 -> taken_b : 0)) || \
                        shown_b == units_b - taken_b)
#define FITS_BEFORE_B (shown_b == before_b - taken_b)

inline settle_b(units) {
    belief_b = units; phase_b = IDLE; rights_b = 0; units_b = 0; before_b = 0; taken_b = 0
}

#ifdef MUTANT_ORDERS_UNKNOWN    /* a reading settles although orders that it contains are not known */
#define ALL_KNOWN_A true
#define ALL_KNOWN_B true
#else
#define ALL_KNOWN_A (in_new == 0 && in_back == 0)
#define ALL_KNOWN_B (new_b == 0 && back_b == 0)
#endif
#ifdef MUTANT_NO_HORIZON        /* a write is given up while a copy of it can still be applied */
#define IS_OVER_A true
#define IS_OVER_B true
#else
#define IS_OVER_A (!flies_a)
#define IS_OVER_B NOTHING_FLIES_B
#endif

/* Of a write without an answer: what the reading may have shown if it was applied, and if it was not. */
#define FITS_WRITTEN_A (seen_a >= written_a - gave && seen_a <= written_a + took)
#define FITS_BEFORE_A (seen_a >= belief_a - gave && seen_a <= belief_a + took)

inline weigh_open() {
    if
    :: !was_over && !(seen_a == 0 && units_a == 0) && !(FITS_WRITTEN_A && !FITS_BEFORE_A) -> skip     /* again */
    :: else -> if
        :: FITS_WRITTEN_A && !FITS_BEFORE_A -> belief_a = written_a; end_write_a()
        :: !FITS_WRITTEN_A && FITS_BEFORE_A -> end_write_a()
        :: FITS_WRITTEN_A == FITS_BEFORE_A && took + gave > 0 -> skip                                 /* again */
        :: else -> belief_a = seen_a; end_write_a()
        fi
    fi
}

active proctype Engine() {
    byte units = 0;
    short free = 0, rights_a = 0;
#ifdef MUTANT_OLD_ZERO
    bool was_zero = false;
#endif
end: do
    /* Push: any figure is wished; what is sent is decided with the grants locked. */
    :: atomic { writes < WRITES ->
           if :: units = 0 :: units = 1 :: units = 2 fi;
           free = FREE;
#ifdef MUTANT_READS_THE_GRANT_EARLY
       };
       atomic {
#endif
           rights_a = RIGHTS_A;
           push();
           units = 0; free = 0; rights_a = 0
       }
    /* No answer in time, or whoever waited has died: nobody knows. */
#ifdef MUTANT_FORGETS           /* a writer that died is taken for one that had not sent */
    :: d_step { phase_a == SENDING -> end_write_a() }
#else
    :: d_step { phase_a == SENDING -> phase_a = OPEN }
#endif

    /* A is read: after a write without an answer when nothing of it can come any more, or it shows already. */
    :: d_step { phase_a == OPEN && !waits && (IS_OVER_A || shown_a == written_a) ->
           take_reading(shown_a); was_over = IS_OVER_A }
    :: d_step { phase_a == OPEN && waits && ALL_KNOWN_A -> weigh_open(); forget_reading() }
    /* An old reading that shows more counts, until a later one does not show it. */
    :: d_step { phase_a == IDLE && !waits && old_a > belief_a -> take_reading(old_a) }
    :: d_step { phase_a == IDLE && waits -> forget_reading() }
#ifdef MUTANT_BELIEVES_AN_OLD_READING   /* what a write was answered with is taken back by a reading from before it */
    :: d_step { phase_a == IDLE && ALL_KNOWN_A && old_a < belief_a -> belief_a = old_a }
#endif

    /* B is read, with every order known: when nothing of the write can come, or it shows already, or nothing shows and
       the write can only take away. */
    :: d_step { phase_b == OPEN && ALL_KNOWN_B &&
                (IS_OVER_B || (FITS_WRITTEN_B && !FITS_BEFORE_B) || (shown_b == 0 && units_b == 0)) -> settle_b(shown_b) }
    :: d_step { phase_b == IDLE && ALL_KNOWN_B && shown_b != belief_b -> belief_b = shown_b }
#ifdef MUTANT_ZERO_BY_ITS_ANSWER    /* accepted is taken for applied */
    :: d_step { phase_b == OPEN && units_b == 0 -> settle_b(0) }
#endif
#ifdef MUTANT_OLD_ZERO      /* the proof that B is empty is a reading from before the write */
    :: d_step { !was_zero && shown_b == 0 -> was_zero = true }
    :: d_step { phase_b == OPEN && ALL_KNOWN_B && was_zero && units_b == 0 -> settle_b(0) }
#endif
    od
}
