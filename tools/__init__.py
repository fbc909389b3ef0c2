"""Commands that people run on this repository. They import the check and what tests stand on, never a test."""
