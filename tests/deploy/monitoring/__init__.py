"""Our Prometheus and Alertmanager files at work: real programs, real services, an alert that reaches somebody."""
