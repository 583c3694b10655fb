-- Version 2. The column that was written and never read goes; the text that is searched comes.

alter table telemetry_instance drop column has_news;

-- `custom_id` in lower case, as Rust folds it: the database's locale may fold it differently, or not at all. The next
-- judgement of an instance replaces what is computed here.
alter table telemetry_instance add column searched text;
update telemetry_instance set searched = lower(custom_id) where custom_id is not null;
