package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// caddyModule is built from its Go module, outside ours.
const (
	caddyModule = "github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.9"
	// caddyPatience is how long its building may take of the whole.
	caddyPatience = 5 * time.Minute
)

// luaModules are what nginx needs for the capture peer, where Debian puts it.
var luaModules = []string{
	"/usr/lib/nginx/modules/ndk_http_module.so",
	"/usr/lib/nginx/modules/ngx_http_lua_module.so",
	"/usr/share/lua/5.1/nginx/redis.lua",
}

// binaries are the programs that take part; an empty path is one that is missing.
type binaries struct {
	self, hookproxy, redis     string
	nginx, lua, haproxy, caddy string
	versions                   []string
}

// findBinaries builds what is built and finds what is installed. hookproxy and
// redis-server must be there.
func findBinaries(ctx context.Context, dir string) (b binaries, err error) {
	if b.self, err = os.Executable(); err != nil {
		return b, err
	}
	b.hookproxy = filepath.Join(dir, "hookproxy")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.hookproxy, "./cmd/hookproxy")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return b, fmt.Errorf("build hookproxy (run this from the repository's root): %w\n%s", err, out)
	}
	if b.redis = find("redis-server"); b.redis == "" {
		return b, fmt.Errorf("redis-server is not installed")
	}
	b.nginx, b.haproxy = find("nginx"), find("haproxy")
	if b.nginx != "" && allThere(luaModules) {
		b.lua = b.nginx
	}
	b.caddy = buildCaddy(ctx)
	b.describe(ctx)
	return b, nil
}

// find looks where servers are installed too, which a user's PATH may leave out.
func find(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	path := filepath.Join("/usr/sbin", name)
	if allThere([]string{path}) {
		return path
	}
	return ""
}

func allThere(paths []string) bool {
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return false
		}
	}
	return true
}

// buildCaddy answers a caddy that the PATH has, or one built into the user's cache
// and kept there for the next time.
func buildCaddy(ctx context.Context) string {
	if path := find("caddy"); path != "" {
		return path
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	dir := filepath.Join(cache, "hookproxy-bench", strings.ReplaceAll(caddyModule, "/", "_"))
	path := filepath.Join(dir, "caddy")
	if allThere([]string{path}) {
		return path
	}
	fmt.Fprintln(os.Stderr, "building Caddy, once ...")
	ctx, cancel := context.WithTimeout(ctx, caddyPatience)
	defer cancel()
	install := exec.CommandContext(ctx, "go", "install", caddyModule)
	install.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if out, err := install.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "Caddy cannot be built: %v\n%s", err, out)
		return ""
	}
	return path
}

func (b binaries) missing() []string {
	var missing []string
	for _, peer := range []struct{ name, path string }{
		{"nginx", b.nginx}, {"nginx with Lua (libnginx-mod-http-lua, lua-nginx-redis)", b.lua}, {"HAProxy", b.haproxy}, {"Caddy", b.caddy},
	} {
		if peer.path == "" {
			missing = append(missing, peer.name)
		}
	}
	return missing
}

// describe asks each program for its version; those lines go into the report.
func (b *binaries) describe(ctx context.Context) {
	for _, ask := range [][]string{
		{"go", "version"}, {b.redis, "--version"}, {b.nginx, "-v"}, {b.haproxy, "-v"}, {b.caddy, "version"},
	} {
		if ask[0] == "" {
			continue
		}
		out, err := exec.CommandContext(ctx, ask[0], ask[1:]...).CombinedOutput()
		if err != nil {
			continue // it is there, and will say why it does not run
		}
		line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		if filepath.Base(ask[0]) == "caddy" {
			line = "Caddy " + line
		}
		b.versions = append(b.versions, line)
	}
}
