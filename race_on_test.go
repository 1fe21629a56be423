//go:build race

package fprom_test

const raceEnabled = true
