package main

import (
	"context"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hookproxy/hookproxy/delivery"
)

// backlogCollector reads what waits in Redis when metrics are asked for.
type backlogCollector struct {
	read func(context.Context) ([]delivery.Backlog, error)
}

var (
	redisUp = prometheus.NewDesc("hookproxy_redis_up", "1 where Redis answers, else 0.", nil, nil)
	lanes   = []string{"lane"}

	eventsWaiting     = prometheus.NewDesc("hookproxy_events_waiting", "Events not yet dispatched.", lanes, nil)
	eventsParked      = prometheus.NewDesc("hookproxy_events_parked", "Events kept that cannot be routed.", lanes, nil)
	deliveriesWaiting = prometheus.NewDesc("hookproxy_deliveries_waiting", "Deliveries not yet made, retries included; of the first 200 subscriptions that have any.", lanes, nil)
	deliveriesLeased  = prometheus.NewDesc("hookproxy_deliveries_leased", "Deliveries in flight in all processes.", lanes, nil)
	oldestWaiting     = prometheus.NewDesc("hookproxy_oldest_waiting_seconds", "Age of the oldest event that waits to be delivered.", lanes, nil)
)

// Describe sends the collector's metrics, as prometheus.Collector has it.
func (c *backlogCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{redisUp, eventsWaiting, eventsParked, deliveriesWaiting, deliveriesLeased, oldestWaiting} {
		out <- d
	}
}

// Collect asks Redis. Where it does not answer in time, redis_up is 0 and the
// rest is absent rather than wrong.
func (c *backlogCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), pingPatience)
	defer cancel()
	readings, err := c.read(ctx)
	up := 1.0
	if err != nil {
		up = 0
	}
	out <- prometheus.MustNewConstMetric(redisUp, prometheus.GaugeValue, up)
	for _, r := range readings {
		lane := strconv.Itoa(r.Lane)
		for desc, value := range map[*prometheus.Desc]float64{
			eventsWaiting: float64(r.Events), eventsParked: float64(r.Parked),
			deliveriesWaiting: float64(r.Deliveries), deliveriesLeased: float64(r.InFlight),
			oldestWaiting: r.Oldest.Seconds(),
		} {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, lane)
		}
	}
}
