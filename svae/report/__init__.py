"""Report: tables, figures and pages, made from the tables of a run alone."""
