package boltqueue

// failpoint is called between the states of an event. Only tests set it.
var failpoint func(name string)

func hit(name string) {
	if failpoint != nil {
		failpoint(name)
	}
}
