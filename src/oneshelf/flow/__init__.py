"""The steps, in the order a unit passes them.

receive, interpret, post, plan, push, confirm; reconcile, resolve; audit. They meet in the database only.
"""
