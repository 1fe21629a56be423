package otelfprom_test

import (
	"context"
	"fmt"
	"log"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/otelfprom"
)

func Example() {
	fake := fpromtest.Start(fpromtest.WithAllLeads()) // in production: FirstPromoter
	defer fake.Close()
	reader := sdk.NewManualReader() // in production: the exporter of your choice
	provider := sdk.NewMeterProvider(sdk.WithReader(reader))

	metrics, err := otelfprom.New(provider)
	if err != nil {
		log.Fatal(err)
	}
	cfg := fake.Config()
	cfg.Observer = metrics.Observe
	tracker, err := fprom.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	registration, err := metrics.Watch(tracker.Stats)
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	if err := tracker.Enqueue(ctx, fprom.Sale{EventID: "ch_1", Email: "jane@example.com", Amount: 4900}); err != nil {
		log.Fatal(err)
	}
	if err := tracker.Flush(ctx); err != nil {
		log.Fatal(err)
	}
	var data metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &data); err != nil {
		log.Fatal(err)
	}
	for _, m := range data.ScopeMetrics[0].Metrics {
		if m.Name == "fprom.attempts" {
			for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
				if p.Value > 0 {
					fmt.Println(m.Name, p.Attributes.Encoded(attribute.DefaultEncoder()), p.Value)
				}
			}
		}
	}
	_ = registration.Unregister()
	_ = tracker.Shutdown(ctx)
	// Output: fprom.attempts result=tracked 1
}
