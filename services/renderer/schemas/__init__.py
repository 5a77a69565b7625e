"""Schemas: what API servers take, known before anything is sent."""
