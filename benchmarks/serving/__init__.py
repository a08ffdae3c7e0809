"""Parts of benchmarks/service.py: a server in a process of its own, clients, and what the right answers are."""
