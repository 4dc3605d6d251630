/* The push protocol against one channel that compares before it writes and sells by itself meanwhile.

   Property: what has been sold here, and what can still be sold, is never more than the highest total that the engine
   has granted and not certainly taken back. A write that buries a sale, or that is applied after the engine gave it
   up, breaks it.

   The engine records a write before it sends it, compares with what facts explain (the belief), never sends a write
   twice, and settles one without an answer by a reading alone: when no copy of it can be under way any more, and when
   every order that the reading could contain is known.

   Figures are units. The bounds below are the whole of what is explored. Each MUTANT_... leaves out one rule. */

#ifndef SALES
#define SALES 4         /* buyers */
#endif
#ifndef CANCELS
#define CANCELS 2       /* orders cancelled again; the units go back on the listing */
#endif
#ifndef RECEIPTS
#define RECEIPTS 2      /* units that come into the shop */
#endif
#ifndef TAKEN
#define TAKEN 2         /* units that leave by another way, so that this listing has to be cut */
#endif
#ifndef WRITES
#define WRITES 4        /* writes that the engine sends */
#endif
#ifndef CRASHES
#define CRASHES 2       /* deaths of the engine between any two steps */
#endif
#define START 2
#define COPIES 3        /* places for requests that are under way, in no order */

/* The channel: what it shows, and its orders. Only its own process and the buyers touch these. */
byte shown = START, sold = 0, cancelled = 0;
#define NET (sold - cancelled)

/* Requests under way: they overtake one another, get lost, or come late. */
bool flies[COPIES];
byte to_units[COPIES], if_shown[COPIES], of_write[COPIES];
#define NOTHING_FLIES (!flies[0] && !flies[1] && !flies[2])

/* The answer to the write that the engine waits for, if it came through. */
mtype = { NO_ANSWER, APPLIED, STALE };
mtype answer = NO_ANSWER;

/* The engine's database: it survives every crash. */
mtype = { IDLE, SENDING, UNKNOWN };
mtype phase = IDLE;
byte stock = START;                     /* what this listing may sell in all, orders seen or not */
byte seen_sold = 0, seen_cancelled = 0; /* orders that the engine knows */
#define SEEN (seen_sold - seen_cancelled)
#define ALL_SEEN (seen_sold == sold && seen_cancelled == cancelled)
short base = START, base_net = 0;       /* the belief is base - (SEEN - base_net) */
#define BELIEF (base - (SEEN - base_net))
short op_units = 0, op_expected = 0, op_net = 0;
byte writes = 0;                        /* and the number of the write in hand */
byte crashes = 0;

/* Of the proof alone: totals that may be in force. `certain` is the last one that certainly is. */
short granted = START, certain = START;
#define WITHIN_RIGHTS (shown + NET <= granted)

#define MOST(a, b) ((a) > (b) -> (a) : (b))
#define DESIRED MOST(stock - SEEN, 0)

inline launch() {
    if
    :: !flies[0] -> flies[0] = true; to_units[0] = op_units; if_shown[0] = op_expected; of_write[0] = writes
    :: flies[0] && !flies[1] -> flies[1] = true; to_units[1] = op_units; if_shown[1] = op_expected; of_write[1] = writes
    :: flies[0] && flies[1] && !flies[2] ->
        flies[2] = true; to_units[2] = op_units; if_shown[2] = op_expected; of_write[2] = writes
    :: else -> skip     /* lost */
    fi
}

inline land(i) {
    flies[i] = false;
    if
#ifdef MUTANT_BLIND
    :: true -> shown = to_units[i]; reply(i, APPLIED)
#else
    :: shown == if_shown[i] -> shown = to_units[i]; reply(i, APPLIED)
    :: else -> reply(i, STALE)
#endif
    fi;
    assert(WITHIN_RIGHTS)
}

/* Only whoever still waits for this very write hears the answer, and not always. */
inline reply(i, what) {
    if
    :: phase == SENDING && of_write[i] == writes && answer == NO_ANSWER -> answer = what
    :: true -> skip
    fi
}

active proctype Channel() {
end: do
    :: atomic { flies[0] -> land(0) }
    :: atomic { flies[1] -> land(1) }
    :: atomic { flies[2] -> land(2) }
    :: atomic { flies[0] -> flies[0] = false }      /* lost on the way */
    :: atomic { flies[1] -> flies[1] = false }
    :: atomic { flies[2] -> flies[2] = false }
    od
}

active proctype Buyers() {
end: do
    :: atomic { shown > 0 && sold < SALES -> shown--; sold++; assert(WITHIN_RIGHTS) }
    :: atomic { cancelled < CANCELS && cancelled < sold -> shown++; cancelled++; assert(WITHIN_RIGHTS) }
    od
}

active proctype Orders() {  /* each order becomes known at some time; a sale before its cancellation */
end: do
    :: atomic { seen_sold < sold -> seen_sold++ }
    :: atomic { seen_cancelled < cancelled && seen_cancelled < seen_sold -> seen_cancelled++ }
    od
}

active proctype Shop() {
    byte received = 0, taken = 0;
end: do
    :: atomic { received < RECEIPTS -> received++; stock++ }
    :: atomic { taken < TAKEN && stock > 0 -> taken++; stock-- }
    od
}

inline record() {           /* the write is in the database before it is on the wire */
    writes++;
    op_units = DESIRED;
    op_expected = BELIEF;
    op_net = SEEN;
#ifdef MUTANT_COMPARES_READING
    op_expected = reading;
#endif
    phase = SENDING;
    answer = NO_ANSWER;
    granted = MOST(granted, op_units + op_net)
}

inline took_effect() {
    certain = op_units + op_net;
    granted = certain;
    base = op_units;
    base_net = op_net;
    phase = IDLE
}

inline had_no_effect() {
    granted = certain;
    phase = IDLE
}

inline adopt() {            /* a reading of which every order is known is a new anchor, whatever it shows */
    base = shown;
    base_net = SEEN;
    certain = shown + SEEN;
    granted = certain;
    phase = IDLE
}

active proctype Engine() {
    short reading = 0;
end: do
    /* Push: a fresh reading agrees with what facts explain, or there is news to wait for. */
    :: atomic { phase == IDLE && writes < WRITES && DESIRED != BELIEF -> reading = shown };
#ifdef MUTANT_SENDS_FIRST
       atomic {
           op_units = DESIRED; op_expected = BELIEF; op_net = SEEN; writes++;
           if :: reading == BELIEF && BELIEF >= 0 -> launch() :: else -> skip fi;
           writes--
       };
#endif
       atomic {
           if
#ifdef MUTANT_COMPARES_READING
           :: true -> record()
#else
           :: reading == BELIEF && BELIEF >= 0 -> record()
#endif
           :: else -> skip
           fi;
           reading = 0
       };
#ifndef MUTANT_SENDS_FIRST
       atomic {
           if :: phase == SENDING && answer == NO_ANSWER -> launch() :: else -> skip fi
       }
#endif

    /* The answer. What orders did since the decision came after the write: the anchor is of the decision. */
    :: atomic { phase == SENDING && answer == APPLIED -> answer = NO_ANSWER; took_effect() }
    :: atomic { phase == SENDING && answer == STALE -> answer = NO_ANSWER; had_no_effect() }

    /* No answer in time, or whoever waited has died: nobody knows. */
    :: atomic { phase == SENDING && answer == NO_ANSWER -> phase = UNKNOWN }
    :: atomic { phase == SENDING && crashes < CRASHES ->
           crashes++;
           answer = NO_ANSWER;
#ifdef MUTANT_FORGETS
           had_no_effect()
#else
           phase = UNKNOWN
#endif
       }
#ifdef MUTANT_RESENDS
    :: atomic { phase == UNKNOWN && writes < WRITES + 1 -> phase = SENDING; answer = NO_ANSWER; launch() }
#endif

    /* Look: only a reading settles what is unknown, and only once nothing of it can come any more. */
#ifdef MUTANT_NO_HORIZON
    :: atomic { phase == UNKNOWN && ALL_SEEN ->
#else
    :: atomic { phase == UNKNOWN && ALL_SEEN && NOTHING_FLIES ->
#endif
           adopt()
       }
#ifdef MUTANT_SETTLES_EARLY /* a figure that the write could have made is taken for its proof, orders known or not */
    :: atomic { phase == UNKNOWN && shown == op_units - (SEEN - op_net) ->
           base = op_units; base_net = op_net; phase = IDLE }
#endif
#ifdef EXACT    /* When every order is known and nothing is open, the belief is the truth. */
    :: atomic { phase == IDLE && ALL_SEEN -> assert(shown == BELIEF) }
#endif
    /* What facts do not explain is weighed against them when they are complete; with every rule kept, never. */
    :: atomic { phase == IDLE && ALL_SEEN && shown != BELIEF && NOTHING_FLIES -> adopt() }
    od
}
