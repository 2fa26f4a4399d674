"""lstm_core, without its auditor."""
