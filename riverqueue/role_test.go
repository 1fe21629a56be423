package riverqueue_test

func playRole(string) int { return 2 }
