"""Studies built on the models: trade-offs, the incident, the write-up, Figure 16."""
