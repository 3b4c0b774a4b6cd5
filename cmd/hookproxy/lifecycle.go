package main

import (
	"context"
	"errors"
	"fmt"
)

// component is a part of the program that runs until its context is done, and
// answers nil then. One that ends sooner, with or without an error, takes the
// program down with it.
type component struct {
	name string
	run  func(context.Context) error
}

// runComponents starts every component, waits until ctx is done or the first
// of them ends by itself, and then ends them phase by phase: those of a phase
// together, and a phase only once the one before it has come to rest. It
// answers the errors of all, joined; nil where ctx ended it and all went well.
func runComponents(ctx context.Context, phases [][]component) error {
	ended := make(chan error, count(phases)) // by components that nobody stopped
	var stops []func() error
	for _, phase := range phases {
		stops = append(stops, startPhase(phase, ended))
	}
	var errs []error
	select {
	case <-ctx.Done():
	case err := <-ended:
		errs = append(errs, err)
	}
	for _, stop := range stops {
		errs = append(errs, stop())
	}
	return errors.Join(errs...)
}

// startPhase starts the components of a phase, and answers what ends them and
// waits for them.
func startPhase(phase []component, ended chan<- error) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	results := make(chan error, len(phase))
	for _, one := range phase {
		go func() {
			err := one.run(ctx)
			switch {
			case err != nil:
				err = fmt.Errorf("%s: %w", one.name, err)
			case ctx.Err() == nil:
				err = fmt.Errorf("%s: ended unasked", one.name)
			}
			if ctx.Err() == nil {
				ended <- err
				err = nil // told already
			}
			results <- err
		}()
	}
	return func() error {
		cancel()
		var errs []error
		for range phase {
			errs = append(errs, <-results)
		}
		return errors.Join(errs...)
	}
}

func count(phases [][]component) int {
	n := 0
	for _, phase := range phases {
		n += len(phase)
	}
	return n
}

// closers ends resources in the reverse order of their birth.
type closers []func() error

func (c *closers) add(close func() error) { *c = append(*c, close) }

func (c *closers) close() error {
	var errs []error
	for i := len(*c) - 1; i >= 0; i-- {
		errs = append(errs, (*c)[i]())
	}
	*c = nil
	return errors.Join(errs...)
}
