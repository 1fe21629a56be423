// Package riverqueue is the fprom.Queue for billing services that run as several replicas with a PostgreSQL behind
// them: events are jobs of River (https://riverqueue.com), any replica delivers them, and all replicas keep one rate limit.
package riverqueue
