"""One cluster's API: requests, discovery, watches and credentials."""
