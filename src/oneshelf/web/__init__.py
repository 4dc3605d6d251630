"""HTTP: webhooks in, API and pages out."""
