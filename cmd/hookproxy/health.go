package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// healthTimeout bounds the health check's one request.
const healthTimeout = 3 * time.Second

// healthCommand asks the admin listener of a running hookproxy. An image with
// nothing in it but the program has no curl to do so.
type healthCommand struct {
	Admin string `default:"127.0.0.1:9901" env:"HOOKPROXY_ADMIN" help:"The admin address of the running hookproxy."`
	Path  string `default:"/readyz" help:"What to ask."`
}

// Run prints the answer, and fails where it is not 200.
func (c *healthCommand) Run(ctx context.Context, std streams) error {
	var r settingReader
	if c.Admin == none {
		r.refuse("admin", c.Admin, "leaves nothing to ask: give serve an admin address, or go without this health check")
	} else {
		r.address("admin", c.Admin)
	}
	if len(r.errs) > 0 {
		return r.errs
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Admin+c.Path, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(std.out, io.LimitReader(response.Body, 1<<16)); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", request.URL, response.Status)
	}
	return nil
}
