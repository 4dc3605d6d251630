/* Workers that take one piece of work from another under a lease, and call a channel while they hold it.

   Property: whoever calls, or writes down what came of it, holds the work at that instant; no two calls are ever under
   way at once; and nothing is under way when an unknown outcome is looked at. A worker may be stopped between any two
   steps for as long as it likes, and wakes up with its decision made; or it dies and begins anew.

   The lease is a row in the database: whose it is, and an end by the database's clock. Three rules make it safe: it is
   taken over only after its end; what is written is written only where the row is still one's own; and no call leaves
   later than an instant that was fixed before the lease was asked for, early enough for the call to be over when the
   lease ends. Time has no end here, and goes on in whole steps. Each MUTANT_... leaves out one rule. */

#ifndef LEASE
#define LEASE 6
#endif
#ifndef DEADLINE
#define DEADLINE 2          /* a call is over after so long, answered or not */
#endif
#define WORKERS 2
#ifdef MUTANT_NO_MARGIN     /* the call may leave until the very end of the lease */
#define SEND_WITHIN LEASE
#else
#define SEND_WITHIN (LEASE - DEADLINE - 1)
#endif
#define LONG_AGO (LEASE + 2)

/* The row. A worker never acts on an earlier lease once it has asked for another, so that its number will do as its
   token. `left` is how long the lease still stands; nobody's is 0. */
byte holder = 0, left = 0;
mtype = { IDLE, SENDING, UNKNOWN };
mtype phase = IDLE;

/* A worker's mark, in steps since then; and the calls under way, with the steps until each is over at the latest. */
byte since[WORKERS];
bool calls[WORKERS];
byte call_left[WORKERS];

#define ENDED (holder == 0 || left == 0)
#define OWN (holder == me + 1)
#define HOLDS (OWN && left > 0)
#define MAY_PASS(w) (!calls[w] || call_left[w] > 0)
#define OLDER(w) (since[w] < LONG_AGO -> since[w] + 1 : LONG_AGO)

active proctype Time() {    /* a call does not outlive its deadline; all else may take any time */
end: do
    :: atomic { MAY_PASS(0) && MAY_PASS(1) ->
           since[0] = OLDER(0); since[1] = OLDER(1);
           left = (left > 0 -> left - 1 : 0);
           call_left[0] = (calls[0] -> call_left[0] - 1 : 0);
           call_left[1] = (calls[1] -> call_left[1] - 1 : 0)
       }
    od
}

inline begin_call() {
    calls[me] = true; call_left[me] = DEADLINE;
    assert(HOLDS);
    assert(!calls[1 - me])
}

active [WORKERS] proctype Worker() {
    byte me = _pid - 1;
start:
end: do
    :: atomic { true -> since[me] = 0 };

       /* Claim: what was being sent when a lease ran out has an unknown outcome, and is given back for a look. */
       atomic {
           if
#ifdef MUTANT_TAKES_EARLY
           :: true -> holder = me + 1; left = LEASE
#else
           :: ENDED -> holder = me + 1; left = LEASE
           :: !ENDED -> since[me] = LONG_AGO; goto start
#endif
           fi;
           if
           :: phase == SENDING -> phase = UNKNOWN; holder = 0; left = 0; since[me] = LONG_AGO; goto start
           :: else -> skip
           fi
       };
#ifdef MUTANT_MARKS_LATE    /* it may have been stopped since it got the lease */
       atomic { true -> since[me] = 0 };
#endif
       /* Intend: recorded before it is sent, where the row is still ours. What is unknown waits for its look. */
       atomic {
           if
           :: OWN && phase == IDLE -> phase = SENDING
           :: OWN && phase != IDLE -> holder = 0; left = 0; since[me] = LONG_AGO; goto start
           :: !OWN -> since[me] = LONG_AGO; goto start
           :: true -> since[me] = LONG_AGO; goto start
           fi
       };
       /* Send, if there is time. */
#ifdef MUTANT_SENDS_LATE
       atomic { true -> begin_call() };
#else
       atomic {
           if
           :: since[me] > SEND_WITHIN -> goto record
           :: since[me] <= SEND_WITHIN -> skip
           :: true -> since[me] = LONG_AGO; goto start
           fi;
#ifndef MUTANT_STOPPED_AT_THE_WIRE
           begin_call()
#endif
       };
#ifdef MUTANT_STOPPED_AT_THE_WIRE   /* it looked at the clock, was stopped, and sends all the same */
       atomic { true -> begin_call() };
#endif
#endif
       /* The answer, or the deadline: the channel has done with it either way. Whoever sent it may be dead by then. */
       atomic { true -> calls[me] = false; call_left[me] = 0;
           if
           :: true -> skip
           :: true -> since[me] = LONG_AGO; goto start
           fi
       };
record: /* where the row is still ours */
       atomic {
           if
           :: OWN -> assert(phase == SENDING); phase = IDLE; holder = 0; left = 0
#ifdef MUTANT_NO_FENCE
           :: !OWN -> assert(phase == IDLE && holder == 0); phase = IDLE; holder = 0; left = 0
#else
           :: !OWN -> skip
#endif
           fi;
           since[me] = LONG_AGO
       }
    od
}

active proctype Look() {    /* only a reading settles what is unknown, and nothing may be under way then */
end: do
    :: atomic { phase == UNKNOWN && ENDED -> assert(!calls[0] && !calls[1]); phase = IDLE }
    od
}
