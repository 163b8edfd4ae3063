"""Pages of HTML that need nothing beside themselves: text, charts and the sheet of styles."""
