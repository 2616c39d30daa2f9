"""The queue API: fal's protocol on our jobs, so that its clients are clients of this server."""
