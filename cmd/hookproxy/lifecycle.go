package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// component is a part of the program that runs until its context is done, and
// answers nil then. One that ends sooner, with or without an error, takes the
// program down with it.
type component struct {
	name string
	run  func(context.Context) error
}

// lateGrace is how long after the end of the drain time the program may still
// take, all phases together, to let go in order.
const lateGrace = 2 * time.Second

// errStillRunning marks a component that did not come to rest in time.
var errStillRunning = errors.New("still running at the end of the drain time")

// runComponents starts every component, waits until ctx is done or the first
// of them ends by itself, and then ends them phase by phase: those of a phase
// together, and a phase only once the one before it has come to rest. It
// answers the errors of all, joined; nil where ctx ended it and all went well.
//
// Stopping takes no longer than drain and lateGrace. A component that is not at
// rest by then is left alone, and answered as errStillRunning with its name.
func runComponents(ctx context.Context, drain time.Duration, phases [][]component) error {
	ended := make(chan error, count(phases)) // by components that nobody stopped
	var stops []func(time.Duration) error
	for _, phase := range phases {
		stops = append(stops, startPhase(phase, ended))
	}
	var errs []error
	select {
	case <-ctx.Done():
	case err := <-ended:
		errs = append(errs, err)
	}
	deadline := time.Now().Add(drain)
	late := lateGrace / time.Duration(max(len(phases), 1))
	for _, stop := range stops {
		errs = append(errs, stop(max(time.Until(deadline), late)))
	}
	return errors.Join(errs...)
}

// result is how a component ended.
type result struct {
	index int // in its phase
	err   error
}

// startPhase starts the components of a phase, and answers what ends them and
// waits for them, for no longer than it is given.
func startPhase(phase []component, ended chan<- error) (stop func(time.Duration) error) {
	ctx, cancel := context.WithCancel(context.Background())
	results := make(chan result, len(phase))
	for i, one := range phase {
		go func() { // ends with one.run; stop waits for it, up to its patience
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
			results <- result{i, err}
		}()
	}
	return func(patience time.Duration) error {
		cancel()
		return awaitPhase(phase, results, patience)
	}
}

func awaitPhase(phase []component, results <-chan result, patience time.Duration) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var errs []error
	running := slices.Clone(phase)
	for range phase {
		select {
		case one := <-results:
			errs = append(errs, one.err)
			running[one.index].name = ""
		case <-timer.C:
			for _, one := range running {
				if one.name != "" {
					errs = append(errs, fmt.Errorf("%s: %w", one.name, errStillRunning))
				}
			}
			return errors.Join(errs...)
		}
	}
	return errors.Join(errs...)
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
