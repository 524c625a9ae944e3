"""One file per simulator; its name is the simulator's. docs/add-a-simulator.md says what a file holds."""
