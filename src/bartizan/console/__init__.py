"""The web page: reads the store and the gateway's status, changes nothing."""
