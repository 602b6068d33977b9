PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 8000
BIN = .venv/bin

.PHONY: demo test setup

demo: setup
	@$(BIN)/python manage.py demo --port $(PORT)

test: setup
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python manage.py makemigrations --check --dry-run
	SECRET_KEY=$$(head -c 64 /dev/urandom | base64 -w 0) DEBUG=0 BUDGETSTUDY_HTTPS=1 ALLOWED_HOSTS=study.example.org $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python -m pytest

setup: .venv/installed

# torch goes first and alone, so that nothing else decides which build of it is installed.
.venv/installed: requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check $$(grep '^torch==' requirements.lock)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	@touch $@
