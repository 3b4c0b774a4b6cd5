package main

import "github.com/hookproxy/hookproxy/rules"

// schemaCommand prints what editors check a rules file by.
type schemaCommand struct{}

// Run prints the JSON Schema of rules.yaml.
func (*schemaCommand) Run(std streams) error {
	_, err := std.out.Write(rules.Schema())
	return err
}
