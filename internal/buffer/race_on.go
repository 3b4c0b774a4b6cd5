//go:build race

package buffer

// poisoned has memory overwritten once it is released, so that tests see who still
// looks at it.
const poisoned = true
