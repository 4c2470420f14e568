"""Connection to the engine: address, TLS, HTTP streams, diagnosis of an unreachable engine."""
