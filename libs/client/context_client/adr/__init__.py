"""Architecture decision records in Markdown, as teams really write them: Nygard, MADR, log4brains and between."""
