"""A whole little business in one command: three simulated shops, shoppers, faults, the engine, and a report.

The demo owns the embedded database and starts the shops and the engine as processes of their own, over the same
wire as in earnest, so that the engine can be killed and started again while the shops go on selling.
"""
