"""Measurements that need a browser. They print figures and pass no judgement."""
