package events

import (
	"log/slog"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// PublishOptions sets what a Publisher needs of its Redis client, and leaves
// everything else as it is. With go-redis' defaults a Publish would wait for
// seconds where Redis is away.
//
//   - ContextTimeoutEnabled: without it, a command's read waits for ReadTimeout
//     (5 s) whatever the context's deadline says.
//   - MaxRetries -1, DialerRetries 1: by default a command is tried four times and
//     each connection dialled five times, with pauses of 100 ms in between.
//   - DisableIdentity, no maintenance notifications: each is a round trip more before
//     a new connection's first command, inside the same deadline.
//
// DialTimeout stays: a Publish stops waiting at its own deadline, and a shorter
// dial would put a Redis far away, behind TLS, out of the replay's reach for ever.
func PublishOptions(o *redis.UniversalOptions) {
	o.ContextTimeoutEnabled = true
	o.MaxRetries = -1
	o.DialerRetries = 1
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// warnOfSlowClient says so where a client was made without PublishOptions.
func warnOfSlowClient(client redis.UniversalClient, log *slog.Logger) {
	slow := false
	switch c := client.(type) {
	case *redis.Client:
		o := c.Options()
		slow = !o.ContextTimeoutEnabled || o.MaxRetries > 0 || o.DialerRetries > 1
	case *redis.ClusterClient:
		o := c.Options()
		slow = !o.ContextTimeoutEnabled || o.DialerRetries > 1
	}
	if slow {
		log.Warn("the Redis client does not keep the publishing deadline: it was made without events.PublishOptions")
	}
}
