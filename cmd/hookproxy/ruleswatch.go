package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// rulesWatch tells a reloader when to look: on SIGHUP, and when something has
// happened to the file or to a link that leads to it. It watches folders, not
// the file: editors and ConfigMaps put another file in its place.
type rulesWatch struct {
	reloader *reloader
	signals  <-chan os.Signal // nil: none come
	log      *slog.Logger

	watcher *fsnotify.Watcher // nil where the system has no watches left
	names   map[string]bool   // whose changes count: all that lead to the file, and their folders
	timer   *time.Timer       // for the next look
	since   time.Time         // when the changes began that wait for it; zero: none wait
	away    bool              // the file was gone at the last look
}

// run watches until ctx is done.
func (w *rulesWatch) run(ctx context.Context) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		w.log.Warn("changes of the rules file are noticed late: it cannot be watched", "every", pollEvery, "error", err)
		watcher = &fsnotify.Watcher{} // whose channels never say anything
	} else {
		w.watcher = watcher
		defer watcher.Close()
	}
	w.timer = time.NewTimer(0) // a change since the start counts too
	defer w.timer.Stop()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	w.follow()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.signals:
			w.log.Info("SIGHUP: loading the rules file", "file", w.reloader.name)
			w.look(true)
		case event := <-watcher.Events:
			w.changed(event)
		case err := <-watcher.Errors:
			w.log.Debug("watching the rules file", "error", err) // changes were lost, perhaps
			w.soon()
		case <-w.timer.C:
			w.look(false)
		case <-poll.C:
			w.look(false)
		}
	}
}

// changed waits for what else happens, where an event is about the file.
func (w *rulesWatch) changed(event fsnotify.Event) {
	if w.names[event.Name] && event.Op != fsnotify.Chmod {
		w.soon()
	}
}

func (w *rulesWatch) soon() {
	if w.since.IsZero() {
		w.since = time.Now()
	}
	w.timer.Reset(min(quietFor, max(0, burst-time.Since(w.since))))
}

// look has the reloader look. A file that is gone may be on its way back.
func (w *rulesWatch) look(asked bool) {
	w.since = time.Time{}
	w.follow() // before reading: what changes after it is an event
	err := w.reloader.look(asked)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case missing && !asked && !w.away:
		w.timer.Reset(awayFor)
	case err != nil:
		w.reloader.missed(err)
	}
	w.away = missing
}

// follow watches the folders of all names that lead to the file now, and no
// others. Where that fails there are still the looks in between.
func (w *rulesWatch) follow() {
	names, err := trail(w.reloader.name)
	if err != nil || w.watcher == nil {
		return
	}
	folders := make(map[string]bool)
	w.names = make(map[string]bool)
	for _, name := range names {
		folder := filepath.Dir(name)
		folders[folder], w.names[folder], w.names[name] = true, true, true
	}
	for _, folder := range w.watcher.WatchList() {
		if !folders[folder] {
			_ = w.watcher.Remove(folder) // it may have gone by itself
		}
	}
	for folder := range folders {
		if err := w.watcher.Add(folder); err != nil {
			w.log.Debug("watching the rules file", "folder", folder, "error", err)
		}
	}
}
