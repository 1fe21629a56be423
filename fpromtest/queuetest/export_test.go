package queuetest

// Patience is how long a case waits for what must happen.
var Patience = &patience
