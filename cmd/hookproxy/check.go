package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/hookproxy/hookproxy/rules"
)

// checkCommand reads a rules file as serve would, and says what it found.
type checkCommand struct {
	File string `arg:"" help:"The rules file."`
}

// Run prints the table of routes and events, or every mistake.
func (c *checkCommand) Run(std streams) error {
	file, err := readRules(c.File, std)
	var mistakes rules.Mistakes
	if errors.As(err, &mistakes) {
		fmt.Fprintf(std.err, "%s: %s\n", c.File, counted(len(mistakes)))
	}
	if err != nil {
		return err
	}
	if err := wantIdentity(c.File, file); err != nil {
		fmt.Fprintf(std.err, "%v\n%s: %s\n", err, c.File, counted(1))
		return errReported
	}
	file.Table(std.out)
	return nil
}

func counted(mistakes int) string {
	if mistakes == 1 {
		return "1 mistake"
	}
	return strconv.Itoa(mistakes) + " mistakes"
}
