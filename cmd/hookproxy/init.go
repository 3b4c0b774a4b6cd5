package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/hookproxy/hookproxy/internal/openapi"
)

// initCommand writes the rules that an API's own description suggests.
type initCommand struct {
	OpenAPI string `name:"openapi" required:"" placeholder:"FILE" help:"The API's description: OpenAPI 3 or Swagger 2, YAML or JSON; - for standard input. Files that it refers to must lie in its folder or below; nothing is fetched."`
	Out     string `placeholder:"FILE" help:"Write to this file, which must not be there yet; to standard output by default."`
	Force   bool   `help:"Write the file of --out though it is there."`
}

// Run writes the rules file, and says on standard error what is in it.
func (c *initCommand) Run(std streams) error {
	if c.Force && c.Out == "" {
		return settingErrors{errors.New("--force: expected --out FILE beside it")}
	}
	document, err := c.document()
	if err != nil {
		return err
	}
	written, err := document.Rules()
	if err != nil {
		return fmt.Errorf("%s: %w", c.OpenAPI, err)
	}
	if c.Out == "" {
		if _, err := std.out.Write(written.Source); err != nil {
			return err
		}
	} else if err := c.write(written.Source); err != nil {
		return err
	}
	fmt.Fprintf(std.err, "%d rules in force, %d behind \"#?\", %d operations left out.\n", written.Rules, written.Aside, written.LeftOut)
	if !written.Who {
		fmt.Fprintln(std.err, "The document does not tell how to ask the API who is calling: change identity.")
	}
	return nil
}

func (c *initCommand) document() (*openapi.Document, error) {
	if c.OpenAPI == "-" {
		return openapi.Read("standard input", os.Stdin)
	}
	return openapi.Load(c.OpenAPI)
}

// write never writes over a file that somebody may have worked on, unless asked to.
func (c *initCommand) write(source []byte) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if c.Force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	file, err := os.OpenFile(c.Out, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; --force writes over it", c.Out)
	}
	if err != nil {
		return err
	}
	_, err = file.Write(source)
	return errors.Join(err, file.Close())
}
