package layout

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// IDs answers up to limit ids behind one, lane by lane and in their order within
// each, from ZSETs of equal scores that key names. Begin with "".
func IDs(ctx context.Context, client redis.UniversalClient, l Layout, key func(Lane) string, after string, limit int) ([]string, error) {
	var ids []string
	first := 0
	if lane, ok := l.OfID(after); ok {
		first = lane.Number
	}
	from := "-"
	if after != "" {
		from = "(" + after
	}
	for _, lane := range l.All()[first:] {
		found, err := client.ZRangeByLex(ctx, key(lane), &redis.ZRangeBy{Min: from, Max: "+", Count: int64(limit - len(ids))}).Result()
		if err != nil {
			return nil, err
		}
		if ids = append(ids, found...); len(ids) >= limit {
			break
		}
		from = "-"
	}
	return ids, nil
}
