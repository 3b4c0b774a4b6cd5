package main

import (
	"fmt"
	"math"
	"strings"
)

// curve is how one figure grows with another.
type curve struct {
	name, x, y string
	points     []point
}

type point struct{ x, y float64 }

func (c *curve) add(x, y float64) { c.points = append(c.points, point{x, y}) }

// text answers the curve as a table.
func (c *curve) text() string {
	var heads, values, lines strings.Builder
	for _, p := range c.points {
		fmt.Fprintf(&heads, " %.0f |", p.x)
		fmt.Fprintf(&values, " %s |", figure(p.y))
		lines.WriteString("--:|")
	}
	return fmt.Sprintf("### Growth: %s\n\n| %s |%s\n|---|%s\n| %s |%s\n\n", c.name, c.x, heads.String(), lines.String(), c.y, values.String())
}

func figure(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// The plot's size, and the margin in which its words stand.
const (
	plotWidth, plotHeight = 480, 280
	plotMargin            = 60
)

// svg answers the curve as a plot: x in powers of ten, y from zero.
func (c *curve) svg() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", plotWidth, plotHeight)
	bottom, right := plotHeight-plotMargin, plotWidth-plotMargin
	fmt.Fprintf(&b, `<path d="M%d %d V%d H%d" fill="none" stroke="#888"/>`+"\n", plotMargin, plotMargin, bottom, right)
	fmt.Fprintf(&b, `<text x="%d" y="%d">%s</text>`+"\n", plotMargin, plotMargin-20, c.y)
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", right, plotHeight-15, c.x)
	var line []string
	for _, p := range c.points {
		x, y := c.place(p)
		line = append(line, fmt.Sprintf("%.1f,%.1f", x, y))
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="#0a58ca"/>`+"\n", x, y)
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n", x, y-10, figure(p.y))
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%.0f</text>`+"\n", x, bottom+18, p.x)
	}
	fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="#0a58ca"/>`+"\n</svg>\n", strings.Join(line, " "))
	return b.String()
}

// place answers where a point stands on the plot.
func (c *curve) place(p point) (x, y float64) {
	least, most, top := math.Inf(1), math.Inf(-1), 0.0
	for _, q := range c.points {
		least, most, top = math.Min(least, math.Log10(q.x)), math.Max(most, math.Log10(q.x)), math.Max(top, q.y)
	}
	width, height := float64(plotWidth-2*plotMargin), float64(plotHeight-2*plotMargin)
	return plotMargin + width*(math.Log10(p.x)-least)/math.Max(most-least, 1e-9), float64(plotHeight-plotMargin) - height*p.y/math.Max(top, 1e-9)
}
