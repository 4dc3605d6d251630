"""What to do with figures and changes that several systems write at once: pure states whose merge has laws.

Each of them ends the same whatever the order in which it is told, however often it is told the same, and however that
is batched: its merge is commutative, associative and idempotent. Which system rules what is not decided here.

`context`       what a writer had seen
`hybrid_clock`  stamps that never put an effect before its cause
`last_write`    one figure, the newest stamp wins
`leader`        one figure, one leading system gives its versions
`siblings`      one value, several systems write it, and none of what they wrote at once is lost
`quantity`      units: changes add up, and a count replaces what it had seen
`escrow`        units: each replica sells what it has the right to, without asking the others

Who gets the last unit, once more was sold than there is, is `domain.last_unit`.
"""
