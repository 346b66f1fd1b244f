// The plain alternative to the relay: an outbox publisher as it is commonly written. It takes a batch
// of unpublished rows with "for update skip locked", publishes them as the same CloudEvents, waits
// until Kafka has acknowledged all (acks=all, idempotent), marks them and commits; after a batch that
// was not full it sleeps for POLL_MS.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
)

const batch = 1000

const take = `select id::text, key, topic, type, created_at, data, data->>'event_type'
from todo.outbox where published_at is null and dead_reason is null
order by seq limit $1 for update skip locked`

const mark = `update todo.outbox set published_at = clock_timestamp() where id = any($1::uuid[])`

type event struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject"`
	Time            time.Time       `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	DataSchema      string          `json:"dataschema"`
	PartitionKey    string          `json:"partitionkey"`
	Data            json.RawMessage `json:"data"`
}

func record(rows pgx.Rows) (*kgo.Record, string, error) {
	e := event{SpecVersion: "1.0", Source: "/todo/mcp-server", DataContentType: "application/json"}
	var topic string
	var name *string
	err := rows.Scan(&e.ID, &e.PartitionKey, &topic, &e.Type, &e.Time, &e.Data, &name)
	if err != nil {
		return nil, "", err
	}
	if name != nil {
		e.DataSchema = "urn:todo:event:" + *name + ":1.0"
	}
	e.Subject = "task/" + e.PartitionKey
	e.Time = e.Time.UTC()
	value, err := json.Marshal(e)
	return &kgo.Record{Topic: topic, Key: []byte(e.PartitionKey), Value: value,
		Headers: []kgo.RecordHeader{{Key: "content-type", Value: []byte("application/cloudevents+json")}},
	}, e.ID, err
}

// publish takes one batch to Kafka and says how many events it had.
func publish(ctx context.Context, db *pgx.Conn, kafka *kgo.Client) (int, error) {
	tx, err := db.Begin(ctx)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback(ctx)
	rows, err := tx.Query(ctx, take, batch)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var records []*kgo.Record
	var ids []string
	for rows.Next() {
		r, id, err := record(rows)
		if err != nil {
			return 0, err
		}
		records, ids = append(records, r), append(ids, id)
	}
	if rows.Err() != nil || len(records) == 0 {
		return 0, rows.Err()
	}
	if err := kafka.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, mark, ids); err != nil {
		return 0, err
	}
	return len(ids), tx.Commit(ctx)
}

func main() {
	ctx := context.Background()
	pause, err := strconv.Atoi(os.Getenv("POLL_MS"))
	if err != nil {
		log.Fatal("POLL_MS: ", err)
	}
	db, err := pgx.Connect(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	kafka, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(os.Getenv("KAFKA_BROKERS"), ",")...),
		kgo.RequiredAcks(kgo.AllISRAcks()), // idempotent by default
		kgo.ProducerLinger(0),              // a batch is sent at once
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		log.Fatal(err)
	}
	for {
		count, err := publish(ctx, db, kafka)
		if err != nil {
			log.Fatal(err)
		}
		if count < batch {
			time.Sleep(time.Duration(pause) * time.Millisecond)
		}
	}
}
