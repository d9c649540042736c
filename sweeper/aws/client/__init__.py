"""The SDK as the adapters use it: clients, credentials, retries, time-outs and errors."""
