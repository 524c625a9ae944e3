"""Workflow: the only room that knows that there is a workflow."""
