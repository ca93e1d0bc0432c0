"""What `dashboards/generate` is made of."""
