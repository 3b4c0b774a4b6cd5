// Package examples holds the reference rules file, which the demo runs with.
package examples

import _ "embed"

// Rules is rules.yaml, the complete commented reference.
//
//go:embed rules.yaml
var Rules []byte
