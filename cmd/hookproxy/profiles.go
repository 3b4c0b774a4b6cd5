package main

import (
	"net/http"
	"net/http/pprof"
)

// profiled answers Go's profiles under /debug/pprof/, and leaves the rest to
// next. /debug/pprof/cmdline is not among them: flags may hold secrets.
func profiled(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", http.NotFound)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.Handle("/", next)
	return mux
}
