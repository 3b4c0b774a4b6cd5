package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/hookproxy/hookproxy/rules"
)

// checkCommand reads a rules file as serve would, and says what it found.
type checkCommand struct {
	File string `arg:"" help:"The rules file."`
}

// Run prints the table of routes and events, or every mistake.
func (c *checkCommand) Run(std streams) error {
	source, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	file, err := rules.Parse(c.File, source)
	var mistakes rules.Mistakes
	if errors.As(err, &mistakes) {
		for _, mistake := range mistakes {
			fmt.Fprintln(std.err, mistake)
		}
		fmt.Fprintf(std.err, "%s: %d mistakes\n", c.File, len(mistakes))
		return errReported
	}
	if err != nil {
		return err
	}
	if err := wantIdentity(c.File, file); err != nil {
		fmt.Fprintf(std.err, "%v\n%s: 1 mistake\n", err, c.File)
		return errReported
	}
	file.Table(std.out)
	return nil
}
