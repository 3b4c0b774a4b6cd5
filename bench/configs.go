package main

import (
	"fmt"
	"strings"
)

// Each peer is set up for what it is measured at: connections to the upstream are
// kept, nothing is logged, and there is a worker for each core.

func nginxConfig(b *bench, addr, upstream string) string {
	return nginxMain(b, "") + fmt.Sprintf(`
  upstream api { server %s; keepalive 512; }
  server {
    listen %s;
    location / {
      proxy_pass http://api;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
    }
  }
}
`, upstream, addr)
}

// nginxMain opens the http block, which the caller closes.
func nginxMain(b *bench, modules string) string {
	return modules + fmt.Sprintf(`
daemon off;
worker_processes auto;
pid %[1]s/nginx.pid;
error_log %[1]s/nginx-error.log error;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
`, b.dir)
}

// nginxLua is what an operator would write today for events from an API that has
// none: the answer is taken by a subrequest, pushed onto a Redis list over a kept
// connection, and only then given to the client.
func nginxLua(redis string) func(b *bench, addr, upstream string) string {
	host, port, _ := strings.Cut(redis, ":")
	return func(b *bench, addr, upstream string) string {
		modules := fmt.Sprintf("load_module %s;\nload_module %s;\n", luaModules[0], luaModules[1])
		return nginxMain(b, modules) + fmt.Sprintf(`
  upstream api { server %s; keepalive 512; }
  client_body_buffer_size 1m;
  server {
    listen %s;
    location /internal/ {
      internal;
      proxy_pass http://api/;
      proxy_buffers 64 8k;
      proxy_max_temp_file_size 0;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
    }
    location / {
      content_by_lua_block {
        ngx.req.read_body()
        local methods = { GET = ngx.HTTP_GET, POST = ngx.HTTP_POST }
        local res = ngx.location.capture("/internal" .. ngx.var.uri, { method = methods[ngx.req.get_method()], always_forward_body = true })
        if res.status == 201 then
          local redis = require("nginx.redis"):new()
          redis:set_timeout(250)
          local ok, err = redis:connect("%s", %s)
          if ok then ok, err = redis:lpush("events", '{"event":"contact.create","user":"bench"}\n' .. res.body) end
          if not ok then ngx.log(ngx.ERR, err) return ngx.exit(503) end
          redis:set_keepalive(10000, 512)
        end
        ngx.status = res.status
        for name, value in pairs(res.header) do ngx.header[name] = value end
        ngx.header["Content-Length"] = #res.body
        ngx.print(res.body)
      }
    }
  }
}
`, upstream, addr, host, port)
	}
}

func haproxyConfig(_ *bench, addr, upstream string) string {
	return fmt.Sprintf(`global
  maxconn 4096
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  option forwardfor
  http-reuse always
frontend front
  bind %s
  default_backend api
backend api
  server api %s
`, addr, upstream)
}

func caddyConfig(_ *bench, addr, upstream string) string {
	return fmt.Sprintf(`{"admin": {"disabled": true, "config": {"persist": false}}, "logging": {"logs": {"default": {"level": "ERROR"}}},
"apps": {"http": {"servers": {"front": {"listen": ["%s"], "automatic_https": {"disable": true}, "routes": [{"handle": [{"handler": "reverse_proxy",
"transport": {"protocol": "http", "compression": false, "keep_alive": {"max_idle_conns_per_host": 512}}, "upstreams": [{"dial": "%s"}]}]}]}}}}}`, addr, upstream)
}

// unmatchedRules are n rules, none of which matches what the load asks for.
func unmatchedRules(n int) string {
	var text strings.Builder
	text.WriteString("identity:\n  - anonymous: {user: bench}\n")
	if n > 0 {
		text.WriteString("rules:\n")
	}
	for i := range n {
		fmt.Fprintf(&text, "  - {on: 'POST /api/kind%d/{id}/notes', emit: kind%d.note}\n", i, i)
	}
	return text.String()
}

// captureRule is the one that matches the writes of the load.
const captureRule = "  - {on: 'POST /size/{size}', emit: contact.create}\n"
