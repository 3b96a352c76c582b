package client

// Pause is how long a client waits before an attempt.
var Pause = (*Config).pause
