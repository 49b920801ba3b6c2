"""What the gateway costs per request and per stream, beside nginx, LiteLLM and a bare proxy."""
